"""What the tests share: peers, strategies, programs from outside."""
