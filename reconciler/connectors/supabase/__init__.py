"""Supabase: what an organisation's projects cost by what they have, as an estimate (docs/connectors/supabase.md)."""

from reconciler.connectors.supabase.connector import Supabase, SupabaseSettings

__all__ = ["Supabase", "SupabaseSettings"]
