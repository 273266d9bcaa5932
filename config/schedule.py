"""What Celery beat starts, and how often.

Each entry expires before the next one, so that a worker that was stopped never finds a heap of stale work.
"""

from celery.schedules import crontab

SCHEDULE = {
    "pull-due-backends": {
        "task": "metrics.pull_due_backends",
        "schedule": 60.0,
        "options": {"expires": 55},
    },
    # Percentiles lack large pushes until it has run.
    "fold-histograms": {
        "task": "metrics.fold_histograms",
        "schedule": 3.0,
        "options": {"expires": 3},
    },
    "make-id-partitions": {
        "task": "metrics.make_id_partitions",
        "schedule": crontab(hour="*/6", minute=45),
        "options": {"expires": 3600},
    },
    "post-capacity": {
        "task": "metrics.post_capacity",
        "schedule": crontab(minute=7),
        "options": {"expires": 3000},
    },
    "price-unpriced-usage": {
        "task": "metrics.price_unpriced_usage",
        "schedule": crontab(hour=3, minute=20),
        "options": {"expires": 3600},
    },
    "forget-plan-imports": {
        "task": "roadmap.forget_plan_imports",
        "schedule": crontab(minute=50),
        "options": {"expires": 3000},
    },
    "resume-imports": {
        "task": "metrics.resume_imports",
        "schedule": 60.0,
        "options": {"expires": 55},
    },
    "resume-usage-files": {
        "task": "metrics.resume_usage_files",
        "schedule": 60.0,
        "options": {"expires": 55},
    },
    "spread-bills-again": {
        "task": "metrics.spread_bills_again",
        "schedule": crontab(hour=4, minute=10),
        "options": {"expires": 3600},
    },
    "drop-expired-keys": {
        "task": "metrics.drop_expired_keys",
        "schedule": crontab(hour=3, minute=50),
        "options": {"expires": 3600},
    },
    "drop-old-pulls": {
        "task": "metrics.drop_old_pulls",
        "schedule": crontab(hour=3, minute=55),
        "options": {"expires": 3600},
    },
    "retain": {
        "task": "metrics.retain",
        "schedule": crontab(minute=25),
        "options": {"expires": 3000},
    },
    "find-look-alikes": {
        "task": "metrics.find_look_alikes",
        "schedule": crontab(minute=40),
        "options": {"expires": 3000},
    },
    "deliver-notices": {
        "task": "roadmap.deliver_notices",
        "schedule": 20.0,
        "options": {"expires": 18},
    },
    "mail-reports": {
        "task": "roadmap.mail_reports",
        "schedule": 20.0,
        "options": {"expires": 18},
    },
    "note-occasions": {
        "task": "roadmap.note_occasions",
        "schedule": crontab(minute=12),
        "options": {"expires": 3000},
    },
    # Zones lie a quarter of an hour apart at most; 07:00 is told within minutes, also where a worker was away.
    "note-mondays": {
        "task": "roadmap.note_mondays",
        "schedule": 300.0,
        "options": {"expires": 290},
    },
    "drop-old-notices": {
        "task": "roadmap.drop_old_notices",
        "schedule": crontab(hour=4, minute=25),
        "options": {"expires": 3600},
    },
    "close-months": {
        "task": "roadmap.close_due_months",
        "schedule": crontab(hour="*/6", minute=30),
        "options": {"expires": 3600},
    },
}
