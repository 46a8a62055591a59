"""MongoDB Atlas: the lines of an organization's invoices, by day (docs/connectors/mongodbatlas.md)."""

from reconciler.connectors.mongodbatlas.connector import MongoDBAtlas, MongoDBAtlasSettings

__all__ = ["MongoDBAtlas", "MongoDBAtlasSettings"]
