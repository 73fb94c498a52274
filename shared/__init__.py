"""What api/ and workers/ both need: models, settings, errors, Redis keys and scripts, stores, filters, templates."""
