"""A coarser rollup, by service, for reports that ask for nothing finer; kept by triggers on the finer one.

Revision: 0007, after 0006
"""

from __future__ import annotations

from typing import Final

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

VISIBLE = """
    namespace = any ((select string_to_array(current_setting('costhook.namespaces', true), ','))::text[])
    or (select current_setting('costhook.namespaces', true)) = '*'
"""

DIMENSIONS: Final = "service_name, service_category, charge_category, x_origin, billing_currency"
SUMS: Final = ("billed_cost", "effective_cost", "list_cost", "contracted_cost", "charges", "unpriced")

ADD_UP: Final = f"""
    insert into daily_service_cost as held (namespace, provider, day, line, {DIMENSIONS}, {", ".join(SUMS)})
    select namespace, provider, day, sha256(convert_to(jsonb_build_array({DIMENSIONS})::text, 'UTF8')), {DIMENSIONS},
        {", ".join(f"%(sign)s sum({name})" for name in SUMS)}
    from %(rows)s group by namespace, provider, day, {DIMENSIONS}
    on conflict (namespace, provider, day, line) do update set
        {", ".join(f"{name} = held.{name} + excluded.{name}" for name in SUMS)}
"""

# What came is added before what went is taken away, so that nothing is empty halfway.
FOLLOW: Final = f"""
    create function follow_daily_cost() returns trigger language plpgsql set search_path = public, pg_temp as $$
    begin
        if tg_op = 'TRUNCATE' then
            truncate daily_service_cost;
            return null;
        end if;
        if tg_op <> 'DELETE' then
            {ADD_UP % {"sign": "", "rows": "came"}};
        end if;
        if tg_op <> 'INSERT' then
            {ADD_UP % {"sign": "-", "rows": "went"}};
            delete from daily_service_cost
            where charges = 0 and (namespace, provider, day) in (select namespace, provider, day from went);
        end if;
        return null;
    end $$
"""

TRIGGERS: Final = {
    "insert": "referencing new table as came",
    "update": "referencing new table as came old table as went",
    "delete": "referencing old table as went",
    "truncate": "",
}


def upgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("set local statement_timeout = '300s'")
    op.execute("""
        create table daily_service_cost (
            namespace text not null,
            provider text not null,
            day date not null,
            line bytea not null,
            service_name text not null,
            service_category text,
            charge_category text not null,
            x_origin text not null,
            billing_currency text not null,
            billed_cost numeric not null,
            effective_cost numeric not null,
            list_cost numeric not null,
            contracted_cost numeric not null,
            charges bigint not null,
            unpriced bigint not null,
            primary key (namespace, provider, day, line)
        )
    """)
    op.execute("alter table daily_service_cost enable row level security")
    op.execute("alter table daily_service_cost force row level security")
    op.execute("create policy writer on daily_service_cost to costhook_writer using (true) with check (true)")
    op.execute("grant select, insert, update, delete on daily_service_cost to costhook_writer")
    op.execute(f"create policy reader on daily_service_cost for select to costhook_reader using ({VISIBLE})")
    op.execute("grant select on daily_service_cost to costhook_reader")
    op.execute(FOLLOW)
    # From here to the end of the transaction writers of the rollup wait, so that the sums begin with all of it.
    for way, tables in TRIGGERS.items():
        op.execute(f"""
            create trigger follow_{way} after {way} on daily_cost {tables}
            for each statement execute function follow_daily_cost()
        """)
    op.execute("set local role costhook_writer")  # the owner sees no rows of tenants
    op.execute(ADD_UP % {"sign": "", "rows": "daily_cost"})
    op.execute("reset role")


def downgrade() -> None:
    op.execute("set local lock_timeout = '5s'")
    op.execute("set local statement_timeout = '60s'")
    for way in TRIGGERS:
        op.execute(f"drop trigger follow_{way} on daily_cost")
    op.execute("drop function follow_daily_cost()")
    op.execute("drop table daily_service_cost")
