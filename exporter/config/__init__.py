"""Settings: what can be set (``model``) and where values come from (``loader``)."""
