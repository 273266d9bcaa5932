"""What was planned, promised and decided."""

from roadmap.models.calendar import CalendarAddress
from roadmap.models.comment import Comment
from roadmap.models.cost_entry import CostEntry
from roadmap.models.evidence import EvidenceContent, EvidenceFile
from roadmap.models.gate import Gate, GateCriterion, GateDecision
from roadmap.models.kpi import Kpi, Reading
from roadmap.models.milestone import ChecklistItem, Milestone, MilestoneDate
from roadmap.models.notice import Delivery, Notice, NoticeSettings
from roadmap.models.phase import Annotation, Phase
from roadmap.models.plan_import import PlanImport
from roadmap.models.report import Report, ReportFile
from roadmap.models.report_link import ReportLink
from roadmap.models.report_mail import ReportMail, ReportSubscription
from roadmap.models.report_words import ReportWords
from roadmap.models.roadmap import Programme, Roadmap
from roadmap.models.steering import Risk, Update
from roadmap.models.template import PlanTemplate

__all__ = [
    "Annotation",
    "CalendarAddress",
    "ChecklistItem",
    "Comment",
    "CostEntry",
    "Delivery",
    "EvidenceContent",
    "EvidenceFile",
    "Gate",
    "GateCriterion",
    "GateDecision",
    "Kpi",
    "Milestone",
    "MilestoneDate",
    "Notice",
    "NoticeSettings",
    "Phase",
    "PlanImport",
    "PlanTemplate",
    "Programme",
    "Reading",
    "Report",
    "ReportFile",
    "ReportLink",
    "ReportMail",
    "ReportSubscription",
    "ReportWords",
    "Risk",
    "Roadmap",
    "Update",
]
