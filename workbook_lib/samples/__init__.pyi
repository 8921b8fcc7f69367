from .claims import article_claims as article_claims
from .delay_line import delay_line_file as delay_line_file
from .digits import Digits as Digits
from .digits import load_digits as load_digits
from .models import half_reader_rows as half_reader_rows
from .models import load_classifier as load_classifier
from .models import load_row_reader as load_row_reader
