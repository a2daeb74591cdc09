namespace VoicePlatform.IntegrationTests.Support;

/// <summary>A test that, among others which need a host of their own, looks at its own tenant alone (<see cref="TestHost.SharedAsync"/>).</summary>
[AttributeUsage(AttributeTargets.Method)]
internal sealed class OnSharedHostAttribute() : PropertyAttribute(Name, "")
{
    private const string Name = "OnSharedHost";

    public static bool IsThere => TestContext.CurrentContext.Test.AllPropertyValues(Name).Any();
}
