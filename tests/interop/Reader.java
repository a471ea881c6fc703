import java.time.Duration;
import java.util.List;
import java.util.Map;

import org.apache.avro.generic.GenericRecord;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;

/**
 * Reads topics with Apicurio's Avro deserializer: Reader BOOTSTRAP REGISTRY COUNT TOPIC...
 *
 * <p>Prints one line of JSON a record: its topic, its name, its fields as Avro writes them.
 */
public class Reader {
    public static void main(String[] arguments) {
        Map<String, Object> configuration = Map.of(
            "bootstrap.servers", arguments[0],
            "group.id", arguments[3] + ".java",
            "auto.offset.reset", "earliest",
            "enable.auto.commit", "false",
            "key.deserializer", "org.apache.kafka.common.serialization.ByteArrayDeserializer",
            "value.deserializer", "io.apicurio.registry.serde.avro.AvroKafkaDeserializer",
            "apicurio.registry.url", arguments[1],
            "apicurio.registry.use-id", "contentId");
        int left = Integer.parseInt(arguments[2]);
        long deadline = System.nanoTime() + Duration.ofSeconds(40).toNanos();
        try (KafkaConsumer<byte[], GenericRecord> consumer = new KafkaConsumer<>(configuration)) {
            consumer.subscribe(List.of(arguments).subList(3, arguments.length));
            while (left > 0 && System.nanoTime() < deadline) {
                for (ConsumerRecord<byte[], GenericRecord> record : consumer.poll(Duration.ofMillis(200))) {
                    System.out.printf("{\"topic\": \"%s\", \"record\": \"%s\", \"value\": %s}%n",
                        record.topic(), record.value().getSchema().getName(), record.value());
                    left--;
                }
            }
        }
        System.exit(left > 0 ? 1 : 0);
    }
}
