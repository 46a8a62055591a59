"""Amazon Web Services: what AWS bills, as Cost Explorer tells it (docs/connectors/aws.md)."""

from reconciler.connectors.aws.connector import Aws
from reconciler.connectors.aws.settings import AwsSettings

__all__ = ["Aws", "AwsSettings"]
