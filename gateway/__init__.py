"""The house itself: settings, wiring, the store, the steps of a complaint's journey, and the doors to people."""
