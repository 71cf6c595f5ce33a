"""The review of a round: the queue of reports, and each of them beside the last round."""
