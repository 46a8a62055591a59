"""Figures that people enter for Providers without an API.

Revision: 0006, after 0005
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

VISIBLE = """
    namespace = any ((select string_to_array(current_setting('costhook.namespaces', true), ','))::text[])
    or (select current_setting('costhook.namespaces', true)) = '*'
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("set local statement_timeout = '60s'")
    op.execute("""
        create table manual_entry (
            namespace text not null,
            provider text not null,
            month date not null,
            service text not null,
            amount numeric not null,
            currency text not null,
            note text,
            entered_at timestamptz not null,
            entered_by text not null,
            changed_at timestamptz,
            changed_by text,
            primary key (namespace, provider, month, service)
        )
    """)
    op.execute("alter table manual_entry enable row level security")
    op.execute("alter table manual_entry force row level security")
    op.execute("create policy writer on manual_entry to costhook_writer using (true) with check (true)")
    op.execute("grant select, insert, update, delete on manual_entry to costhook_writer")
    # People enter, edit and delete through the API, in the namespaces that they may see.
    op.execute(f"create policy hand on manual_entry to costhook_reader using ({VISIBLE}) with check ({VISIBLE})")
    op.execute("grant select, insert, delete on manual_entry to costhook_reader")
    op.execute("grant update (amount, currency, note, changed_at, changed_by) on manual_entry to costhook_reader")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("set local statement_timeout = '60s'")
    op.execute("drop table manual_entry")
