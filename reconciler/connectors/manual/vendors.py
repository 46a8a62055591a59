"""Vendors that are known to tell no costs by an API, and where a person finds the figure.

The pages are those that the vendors' documentation and consoles name; Groq's, Cohere's and Replicate's paths are from
memory, and consoles move. A Provider may name another page.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Vendor(NamedTuple):
    """A vendor as people know it. `where` says how to find the figure on the page."""

    title: str
    service: str
    page: str | None = None
    where: str | None = None
    category: str | None = None


AI: Final = "AI and Machine Learning"

VENDORS: Final = {
    "groq": Vendor("Groq", "GroqCloud", "https://console.groq.com/settings/billing", "Settings > Billing", AI),
    "perplexity": Vendor(
        "Perplexity",
        "Perplexity API",
        "https://console.perplexity.ai",
        "your API group > Billing > Invoice history",
        AI,
    ),
    "cohere": Vendor("Cohere", "Cohere API", "https://dashboard.cohere.com/billing", "Billing & Usage", AI),
    "replicate": Vendor("Replicate", "Replicate", "https://replicate.com/account/billing", "Account > Billing", AI),
    "gemini": Vendor(
        "Google Gemini API", "Gemini API", "https://aistudio.google.com", "Dashboard > Billing, or the tab Spend", AI
    ),
}


def vendor(name: str) -> Vendor:
    """The vendor of that name, or one that is known by its name alone."""
    return VENDORS.get(name.lower()) or Vendor(name, name)
