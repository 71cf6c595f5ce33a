"""The area of dependencies: who waits for whom, where plans contradict each other, and what a slip breaks."""
