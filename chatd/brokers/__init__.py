"""What numbers and carries messages, behind `core.broker.Broker`."""
