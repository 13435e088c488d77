"""Doors: staff logins, patient links and devices, and the secrets behind them."""
