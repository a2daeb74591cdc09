namespace VoicePlatform.Sessions.Compat;

/// <summary>Lets a request without a key in as the compatibility tenant.</summary>
internal sealed class CompatDoor(CompatTenant tenant, Caller caller) : IEndpointFilter
{
    public ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        caller.Become(tenant.TenantId, null, null, isTest: false);
        return next(context);
    }
}
