"""Pages of editions: what was published, by which seal, and what replaces what."""
