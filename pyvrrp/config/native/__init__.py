"""pyvrrp's native form of a configuration: TOML, of the same rows and the same model as keepalived.conf."""
