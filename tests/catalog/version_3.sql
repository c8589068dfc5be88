BEGIN TRANSACTION;
CREATE TABLE api_keys (
	sequence INTEGER NOT NULL, 
	key_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	scopes TEXT NOT NULL, 
	digest BLOB NOT NULL, 
	created_ns BIGINT NOT NULL, 
	expires_ns BIGINT, 
	revoked_ns BIGINT, 
	changed_ns BIGINT NOT NULL, 
	PRIMARY KEY (sequence), 
	UNIQUE (key_id)
);
INSERT INTO "api_keys" VALUES(1,'cf362d286000','grafana','read',X'106387F9CAC1E6A54B1B1DF2B3328A68C276048AACB42BFC31A632656D9D9732',1767225600000013013,NULL,NULL,1767225600000013013);
CREATE TABLE asset_metadata (
	owner_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	string_value TEXT, 
	number_value DOUBLE, 
	boolean_value BOOLEAN, 
	PRIMARY KEY (owner_id, "key"), 
	FOREIGN KEY(owner_id) REFERENCES assets (asset_id)
);
INSERT INTO "asset_metadata" VALUES('id-0-1',0,'serial','R-7',NULL,NULL);
CREATE TABLE asset_tags (
	owner_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (owner_id, name), 
	FOREIGN KEY(owner_id) REFERENCES assets (asset_id)
);
INSERT INTO "asset_tags" VALUES('id-0-1',0,'field');
INSERT INTO "asset_tags" VALUES('id-0-1',1,'red');
CREATE TABLE assets (
	sequence INTEGER NOT NULL, 
	asset_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	organization_id TEXT NOT NULL, 
	created_ns BIGINT NOT NULL, 
	modified_ns BIGINT NOT NULL, 
	archived_ns BIGINT, 
	PRIMARY KEY (sequence), 
	UNIQUE (asset_id), 
	UNIQUE (name)
);
INSERT INTO "assets" VALUES(1,'id-0-1','rover','',1767225600000002002,1767225600000009009,NULL);
INSERT INTO "assets" VALUES(2,'id-0-6','pod','',1767225600000006006,1767225600000006006,NULL);
CREATE TABLE channels (
	sequence INTEGER NOT NULL, 
	channel_id TEXT NOT NULL, 
	asset_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	component TEXT NOT NULL, 
	local_name TEXT NOT NULL, 
	data_type INTEGER NOT NULL, 
	unit TEXT NOT NULL, 
	description TEXT NOT NULL, 
	enum_types_json TEXT NOT NULL, 
	bit_field_elements_json TEXT NOT NULL, 
	created_ns BIGINT NOT NULL, 
	modified_ns BIGINT NOT NULL, 
	PRIMARY KEY (sequence), 
	UNIQUE (asset_id, name, data_type), 
	UNIQUE (channel_id), 
	FOREIGN KEY(asset_id) REFERENCES assets (asset_id)
);
INSERT INTO "channels" VALUES(1,'id-0-2','id-0-1','wheel.speed','wheel','speed',1,'m/s','','[]','[]',1767225600000004004,1767225600000004004);
INSERT INTO "channels" VALUES(2,'id-0-3','id-0-1','state','','state',3,'','','[["idle", 0, false], ["driving", 1, false]]','[]',1767225600000004004,1767225600000004004);
INSERT INTO "channels" VALUES(3,'id-0-7','id-0-6','voltage','','voltage',1,'','','[]','[]',1767225600000008008,1767225600000008008);
CREATE TABLE error_queue (
	position BIGINT NOT NULL, 
	message_index BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	message BLOB NOT NULL, 
	ingestion_config_id TEXT NOT NULL, 
	flow_name TEXT NOT NULL, 
	received_ns BIGINT NOT NULL, 
	asset_name TEXT DEFAULT '' NOT NULL, 
	channel_name TEXT DEFAULT '' NOT NULL, 
	cause TEXT DEFAULT '' NOT NULL, 
	timestamp_ns BIGINT, 
	size_bytes BIGINT DEFAULT '0' NOT NULL, 
	PRIMARY KEY (position, message_index)
);
CREATE TABLE error_queue_totals (
	only_row INTEGER NOT NULL, 
	kept_messages BIGINT NOT NULL, 
	kept_bytes BIGINT NOT NULL, 
	dropped_messages BIGINT NOT NULL, 
	dropped_bytes BIGINT NOT NULL, 
	dropped_first_ns BIGINT, 
	dropped_last_ns BIGINT, 
	dropped_position BIGINT, 
	dropped_index BIGINT, 
	PRIMARY KEY (only_row)
);
CREATE TABLE flows (
	sequence INTEGER NOT NULL, 
	flow_id TEXT NOT NULL, 
	ingestion_config_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	channels_json TEXT NOT NULL, 
	created_ns BIGINT NOT NULL, 
	PRIMARY KEY (sequence), 
	UNIQUE (ingestion_config_id, name), 
	UNIQUE (flow_id), 
	FOREIGN KEY(ingestion_config_id) REFERENCES ingestion_configs (ingestion_config_id)
);
INSERT INTO "flows" VALUES(1,'id-0-4','id-0-0','motor','[["id-0-2","speed","wheel",1,"m/s","",[],[]],["id-0-3","state","",3,"","",[["idle",0,false],["driving",1,false]],[]]]',1767225600000003003);
INSERT INTO "flows" VALUES(2,'id-0-8','id-0-5','power','[["id-0-7","voltage","",1,"","",[],[]]]',1767225600000007007);
CREATE TABLE ingestion_configs (
	sequence INTEGER NOT NULL, 
	ingestion_config_id TEXT NOT NULL, 
	asset_id TEXT NOT NULL, 
	client_key TEXT, 
	created_ns BIGINT NOT NULL, 
	modified_ns BIGINT NOT NULL, 
	PRIMARY KEY (sequence), 
	UNIQUE (ingestion_config_id), 
	FOREIGN KEY(asset_id) REFERENCES assets (asset_id), 
	UNIQUE (client_key)
);
INSERT INTO "ingestion_configs" VALUES(1,'id-0-0','id-0-1','rover-v3',1767225600000001001,1767225600000001001);
INSERT INTO "ingestion_configs" VALUES(2,'id-0-5','id-0-6','pod-v3',1767225600000005005,1767225600000005005);
CREATE TABLE json_rules (
	asset_id TEXT NOT NULL, 
	rules_json TEXT NOT NULL, 
	modified_ns BIGINT NOT NULL, 
	PRIMARY KEY (asset_id), 
	FOREIGN KEY(asset_id) REFERENCES assets (asset_id)
);
INSERT INTO "json_rules" VALUES('id-0-1','[{"name": "too fast", "description": "Faster than allowed.", "expression": "$1 > 5", "expression_channel_references": [{"channel_reference": "$1", "channel_identifier": "wheel.speed"}], "type": "review", "assignee": "ellen@nostromo", "tags": ["speed", "red"]}, {"name": "driving", "description": "", "expression": "state == \"driving\"", "expression_channel_references": [], "type": "phase"}, {"name": "said nothing"}, {"name": "odd", "expression": 5, "tags": "no list"}]',1767225600000011011);
INSERT INTO "json_rules" VALUES('id-0-6','[]',1767225600000012012);
CREATE TABLE run_metadata (
	owner_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	string_value TEXT, 
	number_value DOUBLE, 
	boolean_value BOOLEAN, 
	PRIMARY KEY (owner_id, "key"), 
	FOREIGN KEY(owner_id) REFERENCES runs (run_id)
);
CREATE TABLE run_tags (
	owner_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (owner_id, name), 
	FOREIGN KEY(owner_id) REFERENCES runs (run_id)
);
INSERT INTO "run_tags" VALUES('id-0-9',0,'night');
INSERT INTO "run_tags" VALUES('id-0-9',1,'red');
CREATE TABLE runs (
	sequence INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT NOT NULL, 
	organization_id TEXT NOT NULL, 
	client_key TEXT, 
	start_ns BIGINT, 
	stop_ns BIGINT, 
	is_pinned BOOLEAN NOT NULL, 
	created_ns BIGINT NOT NULL, 
	modified_ns BIGINT NOT NULL, 
	archived_ns BIGINT, 
	PRIMARY KEY (sequence), 
	UNIQUE (run_id), 
	UNIQUE (client_key)
);
INSERT INTO "runs" VALUES(1,'id-0-9','drive','','',NULL,NULL,NULL,0,1767225600000010010,1767225600000010010,NULL);
CREATE TABLE schema_version (
	version INTEGER NOT NULL
);
INSERT INTO "schema_version" VALUES(3);
CREATE INDEX assets_by_creation ON assets (created_ns, sequence);
CREATE INDEX runs_by_name ON runs (name);
CREATE INDEX runs_by_creation ON runs (created_ns, sequence);
CREATE INDEX error_queue_by_asset ON error_queue (asset_name, received_ns, timestamp_ns);
CREATE INDEX ingestion_configs_by_creation ON ingestion_configs (created_ns, sequence);
CREATE INDEX channels_by_creation ON channels (created_ns, sequence);
CREATE INDEX flows_by_creation ON flows (ingestion_config_id, created_ns, sequence);
COMMIT;
