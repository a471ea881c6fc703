"""The one configuration: defaults, config/<environment>.toml, environment, command line."""
