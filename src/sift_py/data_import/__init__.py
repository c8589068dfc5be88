"""Files for the server to read: uploaded as they are, by the names of published releases.

```python
from sift_py.data_import.csv import CsvUploadService

service = CsvUploadService({"uri": "http://127.0.0.1:50051", "apikey": key})
uploaded = service.simple_upload("rover", "flight.csv", run_name="first drive")
print(uploaded.wait_until_complete().status)
```

`csv`, `parquet`, `hdf5`, `tdms`, `rosbags` and `ch10` have an upload service each, `config` what is
in a file, `status` what became of it. To read files here and send what is in them, there is
`sift import`.
"""
