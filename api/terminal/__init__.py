"""What the command shows: tables and blocks for people, JSON for programs, progress while a sync runs.

For people, amounts are rounded to the currency's minor unit; JSON has them exact, as text.
"""
