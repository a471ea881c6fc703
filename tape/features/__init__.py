"""What users do with features: list, generate what comes from the catalogue, export, plot."""
