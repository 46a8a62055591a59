"""Indexes for what happened lately, which monitoring asks for at every scrape.

Revision: 0003, after 0002
"""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("set local statement_timeout = '60s'")
    op.execute("create index sync_run_started on sync_run (started_at)")
    op.execute("create index restatement_at on restatement (at)")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("set local statement_timeout = '60s'")
    op.execute("drop index restatement_at")
    op.execute("drop index sync_run_started")
