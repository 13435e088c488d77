"""Socket.IO edge: typed messages, one use case each, ack and broadcast."""
