"""FHIR R4 registry server for the national e-health portfolio (nasjonal e-helseportefølje)."""
