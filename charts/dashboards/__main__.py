"""Writes the dashboards that the chart ships (`make dashboards`)."""

from charts.dashboards.files import write

if __name__ == "__main__":
    write()
