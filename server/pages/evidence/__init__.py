"""The disagreements: a colour computed of facts beside the one that is stated."""
