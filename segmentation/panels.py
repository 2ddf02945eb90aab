"""The segment page's panels; campaigns and engagement add theirs when they start."""

from customers.panels import PanelTable

SEGMENT_PAGE = PanelTable()
