"""What Prometheus and Grafana are given: rules, and a dashboard that is made from `dashboard.py`."""
