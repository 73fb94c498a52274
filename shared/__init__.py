"""What api/ and workers/ both need: models, settings, errors, keys, scripts, stores, filters, templates."""
