"""All texts of the interface, in one place for review and translation. One module for each subject.

Style: sentence case, verbs on buttons, named objects, past tense for results, PVE's own terms. ``str.format`` fills
``{name}``. Code uses ``text.NAME`` for a text of any module.
"""

from __future__ import annotations

from lxc_dashboard.text.api import *
from lxc_dashboard.text.common import *
from lxc_dashboard.text.containers import *
from lxc_dashboard.text.creation import *
from lxc_dashboard.text.editor import *
from lxc_dashboard.text.frame import *
from lxc_dashboard.text.jobs import *
from lxc_dashboard.text.messages import in_words as in_words
from lxc_dashboard.text.messages import in_words_of as in_words_of
from lxc_dashboard.text.messages import remedy_of as remedy_of
from lxc_dashboard.text.messages import with_remedy as with_remedy
from lxc_dashboard.text.sign_in import *
from lxc_dashboard.text.templates import *
