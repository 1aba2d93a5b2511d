from django.urls import path

from listening import views

app_name = "listening"
urlpatterns = [
    path("", views.open_tests, name="open"),
    path("waiting/", views.home_fragment, name="home_fragment"),
    path("<int:pk>/", views.rate, name="rate"),
    path("clips/<uuid:code>/answer", views.answer, name="answer"),
    path("clips/<uuid:code>/heard", views.heard, name="heard"),
    path("clips/<uuid:code>", views.audio, name="audio"),
    path("of/<slug:slug>/", views.tests, name="tests"),
    path("of/<slug:slug>/new", views.new, name="new"),
    path("of/<slug:slug>/<int:pk>/", views.results, name="results"),
    path("of/<slug:slug>/<int:pk>/close", views.close, name="close"),
]
