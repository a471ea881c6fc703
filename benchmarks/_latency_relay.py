"""The least that `latency` could cost: the tape is read, and every tenth record written as it is.

librdkafka on both sides, no decoding, no state and no Faust: what two hops over the broker take
with the same feed, about as many outputs, processes and machine.
"""

import argparse
import gc

from confluent_kafka import OFFSET_END, Consumer, Producer, TopicPartition

from schemas import catalogue
from schemas.catalogue import kafka_name
from streams.config import KafkaConfig
from streams.kafka import client_config
from streams.producer import producer_config

_OUT_OF = 10


def main() -> None:
    """Relay until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("tape", "bootstrap"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--partitions", type=int, required=True)
    given = parser.parse_args()
    kafka = KafkaConfig(bootstrap=given.bootstrap)
    source, target = (kafka_name(given.tape, name) for name in (catalogue.TAPE, "bars"))
    consumer = Consumer(client_config(kafka) | {"group.id": "relay", "enable.auto.commit": False})
    consumer.assign([TopicPartition(source, n, OFFSET_END) for n in range(given.partitions)])
    producer = Producer(producer_config(kafka))
    gc.collect()
    gc.freeze()
    read = 0
    while True:
        message = consumer.poll(0.1)
        if message is None or message.error() is not None:
            continue
        read += 1
        if read % _OUT_OF == 0:
            producer.produce(target, message.value(), partition=message.partition())
            producer.poll(0)


if __name__ == "__main__":
    main()
