"""Which of the vendors' accounts each Provider's charges are of, so that two that count the same are noticed.

Revision: 0008, after 0007
"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

VISIBLE = """
    namespace = any ((select string_to_array(current_setting('costhook.namespaces', true), ','))::text[])
    or (select current_setting('costhook.namespaces', true)) = '*'
"""


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("set local statement_timeout = '60s'")
    op.execute("alter table provider add column accounts_at timestamptz")
    op.execute("""
        create table billed_account (
            namespace text not null,
            provider text not null,
            month date not null,
            vendor text not null,
            level text not null,
            account text not null,
            alone boolean not null,
            days integer not null,
            primary key (namespace, provider, month, vendor, level, account)
        )
    """)
    op.execute("create index billed_account_same on billed_account (account, month)")
    op.execute("alter table billed_account enable row level security")
    op.execute("alter table billed_account force row level security")
    op.execute("create policy writer on billed_account to costhook_writer using (true) with check (true)")
    op.execute("grant select, insert, update, delete on billed_account to costhook_writer")
    op.execute(f"create policy reader on billed_account for select to costhook_reader using ({VISIBLE})")
    op.execute("grant select on billed_account to costhook_reader")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("set local statement_timeout = '60s'")
    op.execute("drop table billed_account")
    op.execute("alter table provider drop column accounts_at")
