"""The database's schema, step by step. `migrations.upgrade` brings a database to the newest step."""
