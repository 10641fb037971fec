# tells the open Statistics pages
from .statistics import StatisticsService
