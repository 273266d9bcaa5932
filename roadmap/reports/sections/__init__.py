"""The sections of a roadmap's report, in the order on paper. To add one: a file here, one line, one template."""

from roadmap.reports.section import Section
from roadmap.reports.sections.course import Course
from roadmap.reports.sections.delivery import Delivery, Kpis
from roadmap.reports.sections.headline import Headline
from roadmap.reports.sections.money import Money
from roadmap.reports.sections.movers import Movers
from roadmap.reports.sections.notes import DataNotes
from roadmap.reports.sections.performance import Performance
from roadmap.reports.sections.signals import Signals
from roadmap.reports.sections.steering import Decisions, Risks

SECTIONS: tuple[Section, ...] = (
    Headline(),
    Signals(),
    Money(),
    Course(),
    Movers(),
    Decisions(),
    Delivery(),
    Kpis(),
    Performance(),
    Risks(),
    DataNotes(),
)
