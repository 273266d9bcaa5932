"""REST addresses of the plan. Collections end in a slash, one row and what is done with it do not."""

from django.urls import URLPattern, path

from roadmap.api import activity, checklists, gates, kpis, milestones, roadmaps, steering

urlpatterns: list[URLPattern] = [
    path("roadmaps/", roadmaps.RoadmapList.as_view(), name="api_roadmaps"),
    path("roadmaps/<slug:slug>", roadmaps.RoadmapDetail.as_view(), name="api_roadmap"),
    path("roadmaps/<slug:slug>/state", roadmaps.RoadmapState.as_view(), name="api_roadmap_state"),
    path("roadmaps/<slug:slug>/activity", activity.RoadmapActivity.as_view(), name="api_activity"),
    path("roadmaps/<slug:slug>/people/", roadmaps.RoadmapPeople.as_view(), name="api_people"),
    path("roadmaps/<slug:slug>/people/<int:pk>", roadmaps.RoadmapPerson.as_view(), name="api_person"),
    path("phases/", roadmaps.PhaseList.as_view(), name="api_phases"),
    path("phases/<int:pk>", roadmaps.PhaseDetail.as_view(), name="api_phase"),
    path("phases/<int:pk>/start", roadmaps.PhaseStart.as_view(), name="api_phase_start"),
    path("milestones/", milestones.MilestoneList.as_view(), name="api_milestones"),
    path("milestones/<int:pk>", milestones.MilestoneDetail.as_view(), name="api_milestone"),
    path("milestones/<int:pk>/move", milestones.MilestoneMove.as_view(), name="api_milestone_move"),
    path("milestones/<int:pk>/tick", milestones.MilestoneTick.as_view(), name="api_milestone_tick"),
    path("milestones/<int:pk>/reopen", milestones.MilestoneReopen.as_view(), name="api_milestone_reopen"),
    path("milestones/<int:pk>/drop", milestones.MilestoneDrop.as_view(), name="api_milestone_drop"),
    path("checklist/", checklists.ChecklistList.as_view(), name="api_checklist"),
    path("checklist/<int:pk>", checklists.ChecklistDetail.as_view(), name="api_checklist_item"),
    path("checklist/<int:pk>/tick", checklists.ChecklistTick.as_view(), name="api_checklist_tick"),
    path("kpis/", kpis.KpiList.as_view(), name="api_kpis"),
    path("kpis/<int:pk>", kpis.KpiDetail.as_view(), name="api_kpi"),
    path("kpis/<int:pk>/readings", kpis.Readings.as_view(), name="api_readings"),
    path("cost-entries/", steering.CostEntryList.as_view(), name="api_cost_entries"),
    path("cost-entries/<int:pk>", steering.CostEntryDetail.as_view(), name="api_cost_entry"),
    path("risks/", steering.RiskList.as_view(), name="api_risks"),
    path("risks/<int:pk>", steering.RiskDetail.as_view(), name="api_risk"),
    path("risks/<int:pk>/close", steering.RiskClose.as_view(), name="api_risk_close"),
    path("risks/<int:pk>/reopen", steering.RiskReopen.as_view(), name="api_risk_reopen"),
    path("updates/", steering.UpdateList.as_view(), name="api_updates"),
    path("annotations/", steering.AnnotationList.as_view(), name="api_annotations"),
    path("annotations/<int:pk>", steering.AnnotationDetail.as_view(), name="api_annotation"),
    path("gates/", gates.GateList.as_view(), name="api_gates"),
    path("gates/<int:pk>", gates.GateDetail.as_view(), name="api_gate"),
    path("gates/<int:pk>/criteria", gates.CriterionList.as_view(), name="api_criteria"),
    path("gates/<int:pk>/undo", gates.GateUndo.as_view(), name="api_gate_undo"),
    path("gates/<int:pk>/decide", gates.GateDecide.as_view(), name="api_gate_decide"),
    path("criteria/<int:pk>", gates.CriterionDetail.as_view(), name="api_criterion"),
]
