namespace VoicePlatform.Calls;

/// <summary>
/// The telephone that calls of keys in test mode ring, in place of a trunk: what it does depends on the number that is called.
/// </summary>
/// <param name="Address">host:port for SIP over UDP; null: this installation has none.</param>
public sealed record TestLine(Func<string?> Address)
{
    /// <summary>What a test call shows when it asks for nothing else.</summary>
    internal const string From = "+15005550000";

    internal static readonly Error Missing = new(ErrorKind.Invalid, "call.no_test_phone", "A key in test mode rings the test phone of the embedded media server, and this installation uses another: place the call with a live key.")
    {
        Fields = [new("trunk_id", "no_test_phone", "There is no test phone here.")],
    };

    /// <summary>What stands for the trunk in a test call's record.</summary>
    internal static string TrunkOf(string tenantId) => $"test-{tenantId}";
}
