"""URLs of withdrawal cases, under /rights/cases/."""

from django.urls import path

from rights.views.withdrawal import cases

urlpatterns = [
    path("", cases.case_list, name="cases"),
    path("<int:pk>/", cases.case, name="case"),
    path("<int:pk>/items/<slug:kind>/", cases.case_items, name="case_items"),
    path("<int:pk>/remedy/<slug:kind>/", cases.case_remedy, name="case_remedy"),
    path("<int:pk>/refresh/", cases.case_refresh, name="case_refresh"),
    path("<int:pk>/note/", cases.case_note, name="case_note"),
    path("<int:pk>/close/", cases.case_close, name="case_close"),
    path("items/<int:pk>/settle/", cases.case_settle, name="case_settle"),
    path("tasks/<int:pk>/assign/", cases.case_assign, name="case_assign"),
]
