"""The log: Kafka topics, producer, the batch transport for Faust, agents, snapshots, replay."""
