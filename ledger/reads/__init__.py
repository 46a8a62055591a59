"""All reading of the ledger: plain SQL in, dataclasses out.

Every function takes a connection of `ReaderDB.transaction(namespaces)`, so that row-level security has the last
word on what it sees.
"""
