namespace VoicePlatform.Trunks;

internal static class TrunkErrors
{
    public static readonly Error NotFound = new(ErrorKind.NotFound, "trunk.not_found", "No such trunk.");
    public static readonly Error NumberNotFound = new(ErrorKind.NotFound, "number.not_found", "No such number.");
    public static readonly Error Changed = new(ErrorKind.PreconditionFailed, "trunk.changed", "It was changed since the version that If-Match names.");
    public static readonly Error HasNumbers = new(ErrorKind.Conflict, "trunk.has_numbers", "Numbers are routed by this trunk: remove them first.");
    public static readonly Error NumberTaken = new(ErrorKind.Conflict, "number.taken", "This number is routed here already, by this tenant or another.");
    public static readonly Error NotInbound = Error.Field("trunk_id", "not_inbound", "Numbers are routed by inbound trunks: this one only places calls.");
    public static readonly Error NoSuchTrunk = Error.Field("trunk_id", "not_found", "No such trunk.");
}
