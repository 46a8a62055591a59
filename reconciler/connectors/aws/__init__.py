"""Amazon Web Services: what AWS bills, by Cost Explorer or by an export in S3 (docs/connectors/aws.md)."""

from reconciler.connectors.aws.connector import Aws
from reconciler.connectors.aws.settings import AwsSettings

__all__ = ["Aws", "AwsSettings"]
