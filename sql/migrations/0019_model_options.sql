-- How the requests for a model differ from the usual ones: JSON as the operator wrote it (lib/store/model_options.h).
ALTER TABLE models ADD COLUMN options VARBINARY(4096) NULL AFTER output_price;
