BEGIN TRANSACTION;
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
INSERT INTO "asset_metadata" VALUES('id-2',0,'serial','R-7',NULL,NULL);
INSERT INTO "asset_metadata" VALUES('id-2',1,'mass_kg',NULL,12.5,NULL);
INSERT INTO "asset_metadata" VALUES('id-2',2,'is_spare',NULL,NULL,0);
CREATE TABLE asset_tags (
	owner_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (owner_id, name), 
	FOREIGN KEY(owner_id) REFERENCES assets (asset_id)
);
INSERT INTO "asset_tags" VALUES('id-2',0,'field');
INSERT INTO "asset_tags" VALUES('id-2',1,'red');
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
INSERT INTO "assets" VALUES(1,'id-2','rover','',1767225600000002002,1767225600000005005,NULL);
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
INSERT INTO "channels" VALUES(1,'id-3','id-2','wheel.speed','wheel','speed',1,'rpm','of the front wheel','[]','[]',1767225600000004004,1767225600000004004);
INSERT INTO "channels" VALUES(2,'id-4','id-2','state','','state',3,'','','[["off", 0, false], ["on", 1, false]]','[]',1767225600000004004,1767225600000004004);
INSERT INTO "channels" VALUES(3,'id-5','id-2','bits','','bits',4,'','','[]','[["low", 0, 4]]',1767225600000004004,1767225600000004004);
INSERT INTO "channels" VALUES(4,'id-6','id-2','voltage','','voltage',1,'V','','[]','[]',1767225600000004004,1767225600000004004);
CREATE TABLE error_queue (
	position BIGINT NOT NULL, 
	message_index BIGINT NOT NULL, 
	reason TEXT NOT NULL, 
	message BLOB NOT NULL, 
	ingestion_config_id TEXT NOT NULL, 
	flow_name TEXT NOT NULL, 
	received_ns BIGINT NOT NULL, 
	PRIMARY KEY (position, message_index)
);
INSERT INTO "error_queue" VALUES(7,0,'flow ''motor'': the message has no timestamp',X'0A0469642D3112056D6F746F72','id-1','motor',1767225600000000000);
INSERT INTO "error_queue" VALUES(7,1,'there is no ingestion config with the id ''gone''',X'0A04676F6E6512056D6F746F72','gone','motor',1767225600000000001);
INSERT INTO "error_queue" VALUES(7,2,'the message of 2 bytes is no IngestWithConfigDataStreamRequest: Error parsing message',X'FFFF','','',1767225600000000002);
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
INSERT INTO "flows" VALUES(1,'id-7','id-1','motor','[["id-3","speed","wheel",1,"rpm","of the front wheel",[],[]],["id-4","state","",3,"","",[["off",0,false],["on",1,false]],[]],["id-5","bits","",4,"","",[],[["low",0,4]]]]',1767225600000003003);
INSERT INTO "flows" VALUES(2,'id-8','id-1','battery','[["id-6","voltage","",1,"V","",[],[]]]',1767225600000003003);
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
INSERT INTO "ingestion_configs" VALUES(1,'id-1','id-2','rover-v1',1767225600000001001,1767225600000001001);
CREATE TABLE json_rules (
	asset_id TEXT NOT NULL, 
	rules_json TEXT NOT NULL, 
	modified_ns BIGINT NOT NULL, 
	PRIMARY KEY (asset_id), 
	FOREIGN KEY(asset_id) REFERENCES assets (asset_id)
);
INSERT INTO "json_rules" VALUES('id-2','[{"name":"too fast"}]',1767225600000007007);
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
INSERT INTO "run_metadata" VALUES('id-9',0,'distance_km',NULL,3.25,NULL);
CREATE TABLE run_tags (
	owner_id TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	PRIMARY KEY (owner_id, name), 
	FOREIGN KEY(owner_id) REFERENCES runs (run_id)
);
INSERT INTO "run_tags" VALUES('id-9',0,'night');
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
INSERT INTO "runs" VALUES(1,'id-9','drive','','',NULL,NULL,NULL,0,1767225600000006006,1767225600000006006,NULL);
CREATE TABLE schema_version (
	version INTEGER NOT NULL
);
INSERT INTO "schema_version" VALUES(1);
CREATE INDEX assets_by_creation ON assets (created_ns, sequence);
CREATE INDEX runs_by_name ON runs (name);
CREATE INDEX runs_by_creation ON runs (created_ns, sequence);
CREATE INDEX ingestion_configs_by_creation ON ingestion_configs (created_ns, sequence);
CREATE INDEX channels_by_creation ON channels (created_ns, sequence);
CREATE INDEX flows_by_creation ON flows (ingestion_config_id, created_ns, sequence);
COMMIT;
