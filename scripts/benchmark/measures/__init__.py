"""All measures, in the order of the report."""
from measures.connections import FreshName, FreshNameHandshake, KnownName, KnownNameHandshake
from measures.cores import Cores
from measures.decision import Decision
from measures.events import Events
from measures.process import Memory, Start
from measures.requests import Http1, Http2
from measures.transfers import Download, PassedDownload, PassedUpload, Upload

MEASURES = [Http1, Http2, KnownName, KnownNameHandshake, FreshName, FreshNameHandshake, Download, Upload, PassedDownload,
            PassedUpload, Events, Start, Memory, Decision, Cores]
TRANSFERS = (Download, Upload, PassedDownload, PassedUpload)
