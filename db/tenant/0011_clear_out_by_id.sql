-- Old deliveries are found by their ids, which are in the order of time: one index less for each delivery.
DROP INDEX tenant.deliveries_completed;
